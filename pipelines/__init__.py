"""What a tab or a script calls: images and plain values in, images and dataclasses out. No page in here.

``from pipelines import stylegan2, animation, history, recipes``
"""
