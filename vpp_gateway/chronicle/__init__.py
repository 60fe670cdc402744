"""Why, second by second: what the gateway saw and decided for one instruction, told where something changed.

    Gateway --look--> Look (one second of one instruction)  --Chronicle.see--> Row (what changed, and why, as reasons)

Pure: whoever folds facts, live or from a journal, may look between two of them; nothing is decided here.
"""
