"""Parts from CAD files: the packed part that data sets carry, and the import that makes one."""
