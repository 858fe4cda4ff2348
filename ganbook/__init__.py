"""The ``ganbook`` command: ``ganbook run`` serves the page, the others make pictures without one."""
