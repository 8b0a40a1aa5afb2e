"""How well a version answers: it is asked an exam, by the code that answers people."""
