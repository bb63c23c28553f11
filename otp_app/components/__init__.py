"""Components of the pages: functions from props to components. They do not import any State."""
