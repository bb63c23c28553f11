"""Values that schemathesis cannot guess: numbers that can get a code, and codes."""

import schemathesis
from hypothesis import strategies as st

from tests.fakes import RIGHT, WRONG

schemathesis.openapi.format("phone", st.from_regex(r"\A\+447400[0-9]{6}\Z"))
schemathesis.openapi.format("code", st.sampled_from([RIGHT, WRONG]))
