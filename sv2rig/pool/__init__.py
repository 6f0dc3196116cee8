"""The pool's side: templates, jobs, share validation."""
