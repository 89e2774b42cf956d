"""The version of the package."""

__version__ = "0.1.0"
#: Of what searchers and schedulers compute: raised where the same history gives other suggestions or decisions.
EDITION = "15"
