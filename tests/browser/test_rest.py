"""A page that nobody touches leaves the machine alone."""

from .visit import WIDE

COUNTED = """
const frame = window.requestAnimationFrame.bind(window);
window.frames_asked = 0;
window.requestAnimationFrame = (call) => { window.frames_asked += 1; return frame(call); };
"""


def test_a_page_at_rest_draws_no_frames(browser, server):
    """Gradio's first words go on counting when they are gone, on every frame, unless they are kept from it."""
    context = browser.new_context(viewport={"width": WIDE[0], "height": WIDE[1]})
    try:
        context.add_init_script(COUNTED)  # before whatever the page brings along
        page = context.new_page()
        page.goto(server.address)
        page.get_by_role("tab", name="Checkpoints", exact=True).click()
        page.wait_for_timeout(4000)
        before = page.evaluate("window.frames_asked")
        page.wait_for_timeout(3000)
        assert before > 0 and page.evaluate("window.frames_asked") - before < 10
    finally:
        context.close()
