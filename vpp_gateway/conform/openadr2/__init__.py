"""The public conformance harness for OpenADR 2.0b VENs: a spec-literal VTN that plays procedures written as YAML.

    procedures/*.yaml -> procedure.load -> play -> literal VTN <--HTTP--> VEN under test
                                            |          |
                                         verdict    laws: what must hold of every message

Nothing here uses the VEN's own reading, writing or judging: what is right stands in the procedures and in `laws`.
"""
