"""The development loop of ``gpuhub serve``: build, run local workers, watch, repeat."""
