"""Command line: what people type. One module for each noun; `main` finds them when they are needed."""
