"""How the bundled models and problems were made."""
