"""The verbs, one small file each: ``BODY`` functions that take a run and their own options."""
