"""Reflex's internals that the app depends on. No other module imports them.

`import reflex as rx` with its documented names is public. All other names may change in any
release, so `requirements.txt` pins Reflex: check this module first when you update it. The paths in
the comments are those of https://github.com/reflex-dev/reflex at version 0.10.1.
`tests/unit/test_reflex_compat.py` finds other imports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import reflex as rx

# `rx.Config` is public, the config that is in force is not: packages/reflex-base/…/config.py.
from reflex.config import get_config

# The folder of the built pages is `get_web_dir() / Dirs.STATIC`. The content security policy has
# the hashes of their inline scripts, and Reflex has no hook after the build:
# reflex/constants/base.py, reflex/utils/prerequisites.py.
from reflex.constants import Dirs

# `EventSpec` is the return type of handlers. Reflex evaluates the annotation, and compares that of
# an exception handler with this very class: `_validate_exception_handlers` in reflex/app.py.
from reflex.event import Event, EventSpec

# The type of `State.router`: reflex/istate/data.py.
from reflex.istate.data import RouterData

# `Middleware` is public, but the types in the signature of `preprocess` are not:
# reflex/middleware/middleware.py. An empty `StateUpdate` drops the event, and `_postprocess` is
# never called: reflex/app_mixins/middleware.py.
from reflex.middleware.middleware import Middleware
from reflex.state import BaseState, StateUpdate
from reflex.utils.exec import is_prod_mode

# `ImportVar` and `VarData` import our own JavaScript modules for a var that calls a function of
# them: packages/reflex-base/…/vars/base.py. The documentation shows imports of components only.
from reflex.utils.imports import ImportVar
from reflex.utils.prerequisites import get_web_dir
from reflex.vars import VarData

# The hooks for traces, which the package reflex-otel enables. That package also exports metrics
# and the ids of tabs, which `monitoring/tracing.py` leaves out: packages/reflex-base/…/otel.py.
from reflex_base import otel

# `environment.REFLEX_MOUNT_FRONTEND_COMPILED_APP` is marked as internal. It is true in the process
# that serves the built pages: packages/reflex-base/…/environment.py.
from reflex_base.environment import environment
from reflex_base.event import no_args_event_spec

# The names of all event handlers, by which a socket's frames are checked before Reflex parses them:
# packages/reflex-base/…/registry.py.
from reflex_base.registry import RegistrationContext

# The var behind `rx.connection_banner`, whose texts are English and cannot be replaced:
# packages/reflex-components-core/…/core/banner.py.
from reflex_components_core.core.banner import has_connection_errors

# The base of `rx.el.…`. A subclass is a custom element, an HTML tag without a React module:
# packages/reflex-components-core/…/el/element.py.
from reflex_components_core.el.element import Element

# `rx.el.a` is the link of React Router, which does not move the focus to the target of a fragment:
# packages/reflex-components-core/…/el/__init__.py.
from reflex_components_core.el.elements.inline import A

if TYPE_CHECKING:
    from collections.abc import Callable

    from reflex.app import App
    from starlette.types import ASGIApp
else:
    App = object  # reflex.app imports redis and OpenTelemetry, which the settings may not need

__all__ = [
    "A",
    "App",
    "BaseState",
    "Dirs",
    "Element",
    "Event",
    "EventSpec",
    "ImportVar",
    "Middleware",
    "NoDynamicComponents",
    "RegistrationContext",
    "RouterData",
    "StateUpdate",
    "VarData",
    "WrappedApp",
    "environment",
    "get_config",
    "get_web_dir",
    "has_connection_errors",
    "is_prod_mode",
    "no_args_event_spec",
    "otel",
    "page_of_module",
]


class WrappedApp(App):
    """A mixin for `rx.App`, whose subclass can wrap the app as a whole.

    An `api_transformer` runs inside the handlers that Reflex adds for CORS and for exceptions:
    `App.__call__` in reflex/app.py, https://github.com/reflex-dev/reflex/issues/5220.
    """

    def __call__(self) -> ASGIApp:
        """Return the ASGI app. The server calls this method once, as its factory."""
        return self.wrap(super().__call__)

    def wrap(self, build: Callable[[], ASGIApp]) -> ASGIApp:
        """Return the ASGI app, in which *build* returns Reflex's part."""
        return build()


def page_of_module(component: rx.Component, module: str) -> Callable[[], rx.Component]:
    """Return a function that returns *component*, for `App.add_page`.

    Reflex splits the code of the pages by the Python module of this function, so that a browser
    loads only the code of its page. The function therefore takes the name of the page's own
    *module*: `capture_source_module` in `App.add_page`, reflex/app.py.
    """

    def page() -> rx.Component:
        return component

    page.__module__ = module
    return page


class NoDynamicComponents(rx.plugins.Plugin):
    """Removes the whole libraries that Reflex bundles for components created at run time.

    The app has no such components. The plugin saves 1.6 kB of every first visit. Reflex has no
    setting for it: `_reset_bundled_libraries_for_compile` in reflex/compiler/compiler.py,
    https://github.com/reflex-dev/reflex/pull/6563.
    """

    def pre_compile(self, **_context: object) -> None:
        """Clear the list of bundled libraries, which Reflex has filled just before this call."""
        RegistrationContext.ensure_context().bundled_libraries.clear()
