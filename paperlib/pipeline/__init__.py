"""The notebooks' runner and the report. Reads result files only, never the studies."""
