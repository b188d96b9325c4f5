"""What is raised where data cannot be used."""


class DataError(ValueError):
    """Data that cannot be found, read or used; one line that names the file or the key to change."""
