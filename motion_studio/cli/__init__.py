"""The studio's jobs from the shell: arguments, progress and results."""
