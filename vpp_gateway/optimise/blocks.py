"""A linear program in named blocks: whole arrays of columns and rows at a time, sparse from the start.

    program = Blocks()
    x = program.columns(shape, lower, upper, cost)        -> an array of column numbers
    row = program.at_most(rhs)                            -> an array of row numbers;  sum <= rhs
    program.put(row, x, coefficients)                     -> entries, broadcast against each other

Nothing here loops over single entries: a program of some thousand rows is built in about a millisecond.

This module imports numpy and scipy; only the planner's worker imports it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_array

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

Number = TypeVar("Number", bound=np.generic)

SCALE = 0.01
"""Of the costs that HiGHS sees: its dual simplex takes a quarter fewer pivots where the dearest is some 10 000, and none
is so small that its tolerance (1e-7) would swallow it. Its presolve costs more time here than it saves."""
TRIES: tuple[dict[str, object], ...] = (
    {"presolve": False, "dual_feasibility_tolerance": 1e-9},
    {"presolve": True},
)
"""Once in thousands of programs HiGHS does not know what its last basis is worth (its status 15): then another way."""
TIME_OUT = 1
"""scipy's status when the time limit ended the solve; it has no incumbent then."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one kind, by number."""

    number: Index
    equal: bool

    def __getitem__(self, at: int | slice | tuple[slice, slice] | Index | NDArray[np.bool_]) -> Rows:
        return Rows(self.number[at], self.equal)


@dataclass(frozen=True, slots=True)
class Optimum:
    """Where the program is cheapest."""

    x: Floats
    cost: float
    upper: Floats
    """Marginal of each column's upper bound, <= 0."""
    lower: Floats
    """Marginal of each column's lower bound, >= 0."""
    at_most: Floats
    """Marginal of each `at_most` row, <= 0."""
    equal: Floats


@dataclass(slots=True)
class _Side:
    count: int = 0
    rhs: list[Floats] = field(default_factory=list)
    row: list[Index] = field(default_factory=list)
    column: list[Index] = field(default_factory=list)
    value: list[Floats] = field(default_factory=list)

    def add(self, rhs: Floats) -> Index:
        first = self.count
        self.count += rhs.size
        self.rhs.append(rhs.ravel())
        return np.arange(first, self.count).reshape(rhs.shape)

    def matrix(self, columns: int) -> csr_array:
        if not self.value:
            return csr_array((self.count, columns), dtype=float)
        triple = (np.concatenate(self.row), np.concatenate(self.column))
        return csr_array((np.concatenate(self.value), triple), shape=(self.count, columns))


def _spread(given: NDArray[Number], shape: tuple[int, ...]) -> NDArray[Number]:
    """`given` broadcast to `shape`, flat; several times as fast as numpy's own function on small arrays."""
    whole = np.empty(shape, dtype=given.dtype)
    whole[...] = given
    return whole.ravel()


class Blocks:
    """Columns and rows, block by block."""

    def __init__(self) -> None:
        self._count = 0
        self._cost: list[Floats] = []
        self._lower: list[Floats] = []
        self._upper: list[Floats] = []
        self._closed: list[Index] = []
        self._equal = _Side()
        self._at_most = _Side()

    @property
    def size(self) -> tuple[int, int, int]:
        """(columns, rows, entries)"""
        sides = (self._equal, self._at_most)
        return (
            self._count,
            sum(side.count for side in sides),
            sum(value.size for side in sides for value in side.value),
        )

    def columns(
        self,
        shape: tuple[int, ...],
        lower: ArrayLike = 0.0,
        upper: ArrayLike = np.inf,
        cost: ArrayLike = 0.0,
    ) -> Index:
        """A block of columns; bounds and costs are broadcast to `shape`."""
        first = self._count
        self._count += int(np.prod(shape))
        for kept, given in ((self._lower, lower), (self._upper, upper), (self._cost, cost)):
            kept.append(_spread(np.asarray(given, dtype=float), shape))
        return np.arange(first, self._count).reshape(shape)

    def equal(self, rhs: ArrayLike) -> Rows:
        """Rows whose sum is `rhs`."""
        return Rows(self._equal.add(np.asarray(rhs, dtype=float)), True)

    def at_most(self, rhs: ArrayLike) -> Rows:
        """Rows whose sum is at most `rhs`."""
        return Rows(self._at_most.add(np.asarray(rhs, dtype=float)), False)

    def put(self, rows: Rows, columns: Index, value: ArrayLike) -> None:
        """Entries; rows, columns and values are broadcast against each other. Several at one place add up."""
        side = self._equal if rows.equal else self._at_most
        entry = np.asarray(value, dtype=float)
        shape = np.broadcast(rows.number, columns, entry).shape
        side.row.append(_spread(rows.number, shape))
        side.column.append(_spread(columns, shape))
        side.value.append(_spread(entry, shape))

    def close(self, columns: Index) -> None:
        """These columns are 0 from now on."""
        self._closed.append(columns.ravel())

    def solve(self, time_limit_s: float) -> Optimum:
        """Ask HiGHS.

        Args:
            time_limit_s: Of each of two tries; there is hardly ever more than one.

        Raises:
            ArithmeticError: a number is not finite, or there is no answer in time.
        """
        cost, lower, upper = (np.concatenate(part) for part in (self._cost, self._lower, self._upper))
        upper[np.concatenate([np.zeros(0, dtype=np.int64), *self._closed])] = 0.0
        sides = (self._equal, self._at_most)
        rhs = [np.concatenate(side.rhs) if side.rhs else np.zeros(0) for side in sides]
        matrices = [side.matrix(self._count) for side in sides]
        numbers = (cost, lower, *rhs, *(matrix.data for matrix in matrices))
        if not all(np.isfinite(part).all() for part in numbers) or np.isnan(upper).any():
            raise ArithmeticError("the program holds a number that is not finite")
        if not cost.size:
            return Optimum(x=cost, cost=0.0, upper=cost, lower=cost, at_most=rhs[1] * 0.0, equal=rhs[0] * 0.0)
        for options in TRIES:
            answer = linprog(  # type: ignore[call-overload]  # the stubs refuse an array as bounds, scipy takes it
                SCALE * cost,
                A_eq=matrices[0],
                b_eq=rhs[0],
                A_ub=matrices[1],
                b_ub=rhs[1],
                bounds=np.column_stack([lower, upper]),
                method="highs",
                options={"time_limit": time_limit_s, **options},
            )
            if answer.status == TIME_OUT:
                raise ArithmeticError(f"no plan within {time_limit_s:g} s")
            if answer.x is not None:
                break
        else:
            raise ArithmeticError(answer.message)
        return Optimum(
            x=answer.x,
            cost=float(cost @ answer.x),
            upper=answer.upper.marginals / SCALE,
            lower=answer.lower.marginals / SCALE,
            at_most=answer.ineqlin.marginals / SCALE,
            equal=answer.eqlin.marginals / SCALE,
        )
