"""Workload shift: site plug-ins in their own processes, and the host that survives them.

contract.py   the wire (JSON lines)           plugin.py, serve.py, launch.py   the author's side
host.py       one plug-in's host              channel.py, orders.py, check.py  its parts
process.py    transport: a fenced process     memory.py                        transport: this process
levers.py     offer arithmetic (pure)         lever.py, taking.py, records.py  orders into acts, repeatably
hands.py      what can be done to jobs        process_lever/                   done to real processes
"""
