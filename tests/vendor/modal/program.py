"""A program of Modal's: one function of each kind. Closures, so that their code goes by value.

Without postponed annotations: Modal reads those of a class's parameters.
"""

import modal


def functions():
    """Give the functions by name."""

    def double(number, *, plus=0):
        return 2 * number + plus

    async def later(text):
        import asyncio

        await asyncio.sleep(0.01)
        return text.upper()

    def count(number):
        yield from range(number)

    async def count_later(number):
        for each in range(number):
            yield each

    def fail(message):
        class UnhappyError(Exception):
            pass

        raise UnhappyError(message)

    def outer(number):
        handle = modal.Function.from_name("program", "double")
        return handle.remote(number) + 1

    made = (double, later, count, count_later, fail, outer)
    return {function.__name__: function for function in made}


def counter():
    """Give a class with a parameter."""

    class Counter:
        start: int = modal.parameter(default=0)

        @modal.enter()
        def set_up(self):
            self.count = self.start

        @modal.method()
        def add(self, number):
            self.count += number
            return self.count

        @modal.method()
        def numbers(self, number):
            yield from range(self.start, self.start + number)

    return Counter
