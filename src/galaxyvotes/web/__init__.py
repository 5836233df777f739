"""The page in the browser, and its interface for programs."""
