"""The page in a real browser, and the same functions as a script calls them. One server serves the whole folder."""
