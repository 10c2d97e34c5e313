"""What the runbook modules stand on: pure decisions, with every I/O handed in.

Nothing here imports ansible, so modules, jobs and tests share one package and a host can carry a copy.
The code runs on the Python of the hosts: nothing newer than 3.11.
"""
