"""Think and answer: the phases of a decode."""
