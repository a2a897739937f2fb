"""`simgen new`: a folder that is a whole project, from CAD files, pictures of the empty place and photos."""
