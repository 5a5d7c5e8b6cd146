"""Tables that put published numbers beside ours."""
