"""The shell: HTTP, pages, command line, composition."""
