"""One module for each tab: ``build`` lays it out and wires its events. No mathematics in here."""
