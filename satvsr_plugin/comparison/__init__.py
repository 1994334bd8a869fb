"""Results of several systems in, one table, its figures and one page out; :func:`.report.compare` does all of it."""
