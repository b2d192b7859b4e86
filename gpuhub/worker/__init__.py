"""What runs inside the provider's container.

Standard library only, and able to run on Python 3.9: this package is copied into every bundle,
beside a stub ``gpuhub`` package, so that a container needs no package of ours.

Provider entry points use :func:`gpuhub.worker.load.load_bundle` to get a
:class:`gpuhub.worker.handler.Handler` and :mod:`gpuhub.worker.wire` to write its envelopes.
"""
