"""The page: what a browser shows of the studies in a store. Data is made here; `static/` draws it."""

from tunesmith.service.page.ahead import read_ahead
from tunesmith.service.page.readings import Readings
from tunesmith.service.page.routes import router

__all__ = ["Readings", "read_ahead", "router"]
