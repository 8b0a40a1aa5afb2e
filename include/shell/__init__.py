"""The command `vitrine`: questions, versions and runs from a terminal, of a running Airflow or of the data directory.

`vitrine --help` loads neither pandas, torch nor an engine: what a command needs it imports itself.
"""
