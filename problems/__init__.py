"""The shipped problems, one a file; each is also the manual of how to write one."""
