from typing import Any

# pyarrow ships no types: all that comes from it is Any, and what is built of it has the type that
# we write down.
def __getattr__(name: str) -> Any: ...
