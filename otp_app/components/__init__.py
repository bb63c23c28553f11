"""Functions from props to components. They know no State."""
