"""From one YAML spec to a running stack: load, render, write, validate, run."""
