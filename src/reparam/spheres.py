"""Laws on the unit sphere in m dimensions: von Mises–Fisher, and the Power Spherical.

Both have a mean direction μ and a concentration κ > 0, and a density that depends on μᵀx = cos θ alone. A
draw is an angle θ and a bearing around μ. The gradient is by implicit reparameterisation: θ moves with κ so
that its distribution function stays where it is. It is unbiased however θ was drawn; no correction is due.
For m ≥ 2; checked for m ≤ 10,000 and 10⁻³ ≤ κ ≤ 10⁵, in float32.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.polynomial import Polynomial
from torch import Tensor
from torch.autograd.function import once_differentiable

from reparam.distributions import total

PROPOSALS = 3  # of the rejection sampler; all are rejected in at most 4 % of draws on the circle, 0.2 % above
UNIFORMS = 3 * PROPOSALS + 1  # numbers that an angle of von Mises–Fisher is made of


class VonMisesFisher(NamedTuple):
    """Density ∝ exp(κ μᵀx); mean direction μ (n, m) of length 1, κ (n, 1). Davidson et al. 2018, §2.2."""

    direction: Tensor
    kappa: Tensor

    @property
    def mean(self) -> Tensor:
        """The mean direction: a point of the sphere, unlike the expectation."""
        return self.direction

    def log_prob(self, x: Tensor) -> Tensor:
        """log density by the sphere's area, x (n, m) of length 1: (n,)."""
        m = x.shape[1]
        # κ (μᵀx − 1) by the chord: at a large κ a rounding of μᵀx would be many nats.
        exponent = -0.5 * self.kappa * (x - self.direction).square().sum(1, keepdim=True)
        kappa = self.kappa.double()
        return total(exponent + (kappa - log_moment(kappa, m) - log_area(m)).to(x.dtype))

    def kl(self) -> Tensor:
        """KL to the uniform law: κ A(κ) − log E[exp κw], w the first coordinate of a uniform point: (n,)."""
        m = self.direction.shape[1]
        # One cast for all that follows: gradients that nearly cancel are summed in float64 too.
        kappa = self.kappa.double()
        moment = log_moment(kappa, m)
        # A = I_{m/2} / I_{m/2−1}, by the same function two dimensions higher.
        resultant = kappa / m * torch.exp(log_moment(kappa, m + 2) - moment)
        return (kappa * resultant - moment).to(self.kappa.dtype).squeeze(1)

    def at(self, noise: Tensor) -> Tensor:
        """The point at noise of `Around` with UNIFORMS uniform numbers: (n, m)."""
        theta = _VonMisesFisherAngle.apply(self.kappa, noise[:, :UNIFORMS], self.direction.shape[1])
        return around(self.direction, theta, noise[:, UNIFORMS:])

    def draws(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """k draws an example and their log densities: (n, k, numbers) → (n, k, m) and (n, k)."""
        return _draws(self, noise)


class PowerSpherical(NamedTuple):
    """Density ∝ (1 + μᵀx)^κ; μ (n, m) of length 1, κ (n, 1). De Cao & Aziz 2020, eq. 1 (arXiv:2006.04437)."""

    direction: Tensor
    kappa: Tensor

    @property
    def mean(self) -> Tensor:
        """The mean direction: a point of the sphere, unlike the expectation."""
        return self.direction

    def log_prob(self, x: Tensor) -> Tensor:
        """log density by the sphere's area, x (n, m) of length 1: (n,)."""
        chord = (x - self.direction).square().sum(1, keepdim=True)
        # (1 + μᵀx)/2 by the chord; the antipode, whose density is 0, is kept finite.
        power = self.kappa * torch.log1p(-0.25 * chord.clamp_max(4 * (1 - 1.2e-7)))
        m = x.shape[1]
        return total(power - (_log_moment_of_power(self.kappa.double(), m) + log_area(m)).to(x.dtype))

    def kl(self) -> Tensor:
        """KL to the uniform law, in closed form: (n,). De Cao & Aziz 2020, eq. 15."""
        m = self.direction.shape[1]
        kappa, a = self.kappa.double(), (m - 1) / 2
        log_share = torch.digamma(kappa + a) - torch.digamma(kappa + 2 * a)
        return (kappa * log_share - _log_moment_of_power(kappa, m)).to(self.kappa.dtype).squeeze(1)

    def at(self, noise: Tensor) -> Tensor:
        """The point at noise of `Around` with one uniform number: (n, m)."""
        theta = _PowerSphericalAngle.apply(self.kappa, noise[:, :1], self.direction.shape[1])
        return around(self.direction, theta, noise[:, 1:])

    def draws(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """k draws an example and their log densities: (n, k, numbers) → (n, k, m) and (n, k)."""
        return _draws(self, noise)


class UniformOnSphere(NamedTuple):
    """The uniform law, which needs no numbers of its own."""

    def log_prob(self, x: Tensor) -> Tensor:
        """log density by the sphere's area, x (n, m) of length 1: (n,)."""
        return x.new_full((len(x),), -log_area(x.shape[1]))

    def at(self, noise: Tensor) -> Tensor:
        """The noise itself, a point of the sphere."""
        return noise


def _draws(q: VonMisesFisher | PowerSpherical, noise: Tensor) -> tuple[Tensor, Tensor]:
    n, k = noise.shape[:2]
    each = type(q)(*(t.repeat_interleave(k, 0) for t in q))
    z = each.at(noise.flatten(0, 1))
    return z.view(n, k, -1), each.log_prob(z).view(n, k)


def log_area(m: int) -> float:
    """log of the area of the unit sphere in m dimensions: 2 π^{m/2} / Γ(m/2)."""
    return math.log(2) + m / 2 * math.log(math.pi) - math.lgamma(m / 2)


def around(direction: Tensor, theta: Tensor, tangent: Tensor) -> Tensor:
    """The point at angle θ (n, 1) from a direction (n, m), towards a unit vector (n, m − 1) of the tangents.

    The north pole is reflected onto the direction or its opposite, by that of Householder's two mirrors which
    loses no digits: so it is exact, and its gradient bounded, for directions near the pole too.
    """
    return _Around.apply(direction, theta, tangent)


class _Around(torch.autograd.Function):
    """x = p − far · (μ ± e₁), of the point p = (cos, sin · tangent) by the pole.

    Written in place and differentiated by hand: its cost is that of going through memory.
    """

    @staticmethod
    def forward(ctx: Any, direction: Tensor, theta: Tensor, tangent: Tensor) -> Tensor:
        first = direction[:, 0].contiguous()
        sign = torch.ones_like(first).copysign(first)
        cos, sin = -sign * theta[:, 0].cos(), -sign * theta[:, 0].sin()
        # The mirror is μ ± e₁, of squared length 2 (1 + |μ₁|); how far the point is from it, in its lengths.
        along = (direction[:, 1:] * tangent).sum(1)
        far = ((first + sign) * cos + sin * along) / (1 + first.abs())
        x = torch.empty(direction.shape, dtype=direction.dtype, device=direction.device)
        torch.mul(tangent, sin[:, None], out=x[:, 1:])
        x[:, 0] = cos - sign * far
        ctx.save_for_backward(direction, tangent, sign, cos, sin, far)
        return x.addcmul_(direction, far[:, None], value=-1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        direction, tangent, sign, cos, sin, far = ctx.saved_tensors
        first, up, rest = direction[:, 0], gradient[:, 0], gradient[:, 1:]
        across = ((gradient * direction).sum(1) + sign * up) / (1 + first.abs())
        # What of p: the gradient, reflected as p was.
        of_cos = up - (first + sign) * across
        of_rest = torch.addcmul(rest, direction[:, 1:], across[:, None], value=-1)
        of_theta = cos * (of_rest * tangent).sum(1) - sin * of_cos
        of_direction = torch.empty_like(gradient)
        torch.mul(tangent, (-across * sin)[:, None], out=of_direction[:, 1:])
        of_direction[:, 0] = across * (sign * far - cos)
        of_direction.addcmul_(gradient, far[:, None], value=-1)
        return of_direction, of_theta[:, None], sin[:, None] * of_rest


# The normaliser of von Mises–Fisher

LARGE = 20.0  # √(ν² + κ²) from which the uniform asymptotics hold to 10⁻⁹ with six terms
TERMS = 60  # of the power series below that


def log_moment(kappa: Tensor, m: int) -> Tensor:
    """log E[exp κw], w the first coordinate of a uniform point in m dimensions, in float64, of κ's shape.

    It is log Γ(ν + 1) (2/κ)^ν I_ν(κ), ν = m/2 − 1: the modified Bessel function without what overflows.
    Series below, uniform asymptotics (Olver's, DLMF 10.41.3) above; both can be differentiated.
    """
    kappa, nu = kappa.double(), m / 2 - 1
    if nu >= LARGE:
        return _asymptotic(kappa, nu)
    near = kappa < LARGE
    return torch.where(near, _series(kappa.clamp_max(LARGE), m), _large(kappa.clamp_min(LARGE), nu))


def _series(kappa: Tensor, m: int) -> Tensor:
    """₀F₁(m/2; κ²/4) term by term, all positive."""
    k = torch.arange(1, TERMS + 1, dtype=torch.float64, device=kappa.device)
    fixed = math.lgamma(m / 2) - torch.lgamma(k + m / 2) - torch.lgamma(k + 1)
    terms = torch.exp(2 * k * torch.log(kappa / 2)[..., None] + fixed)
    return torch.log1p(terms.sum(-1))


def _asymptotic(kappa: Tensor, nu: float) -> Tensor:
    """For a large ν, each part as its difference from κ = 0, where the whole is 0."""
    s = torch.sqrt(nu**2 + kappa.square())
    rise = kappa.square() / (s + nu)  # s − ν
    corrections = _debye(s, nu / s) - _debye(torch.full_like(s, nu), torch.ones_like(s))
    return rise - nu * torch.log1p(rise / (2 * nu)) - 0.5 * torch.log1p(rise / nu) + corrections


def _large(kappa: Tensor, nu: float) -> Tensor:
    """For a large κ, whatever ν."""
    s = torch.sqrt(nu**2 + kappa.square())
    log_bessel = s + nu * torch.log(kappa / (nu + s)) - 0.5 * torch.log(2 * math.pi * s)
    return math.lgamma(nu + 1) - nu * torch.log(kappa / 2) + log_bessel + _debye(s, nu / s)


def _debye(s: Tensor, t: Tensor) -> Tensor:
    """log Σₖ uₖ(t)/νᵏ with s = ν/t: (t^−k uₖ)/sᵏ is finite at ν = 0 too."""
    square, result = t.square(), torch.zeros_like(t)
    for coefficients in reversed(_debye_polynomials()):
        value = torch.zeros_like(t)
        for c in reversed(coefficients):
            value = value * square + c
        result = (result + value) / s
    return torch.log1p(result)


@cache
def _debye_polynomials(terms: int = 6) -> list[list[float]]:
    """The coefficients of t^−k uₖ(t) in t², k = 1, 2, …; the recurrence of DLMF 10.41.9."""
    t, u, found = Polynomial([0.0, 1.0]), Polynomial([1.0]), []
    for k in range(1, terms + 1):
        u = 0.5 * t**2 * (1 - t**2) * u.deriv() + ((1 - 5 * t**2) * u).integ() / 8
        found.append(u.coef[k::2].tolist())
    return found


def _log_moment_of_power(kappa: Tensor, m: int) -> Tensor:
    """log E[b^κ], b = (1 + w)/2 ~ Beta(a, a), a = (m − 1)/2, w the first coordinate of a uniform point."""
    a = (m - 1) / 2
    at_zero = math.lgamma(2 * a) - math.lgamma(a)
    return torch.lgamma(kappa + a) - torch.lgamma(kappa + 2 * a) + at_zero


# The angle by the inverse of its distribution function


class _Shape(NamedTuple):
    """A density of θ on [0, π], (n, 1) each: its mode θ₀, its curvature there, and how it falls off the mode.

    `log_ratio(δ)` is log f(θ₀ + δ)/f(θ₀), and `score(θ)` is ∂ log f/∂κ up to a constant, which is small
    where f is large.
    """

    mode: Tensor
    curvature: Tensor
    log_ratio: Callable[[Tensor], Tensor]
    score: Callable[[Tensor], Tensor]


def _von_mises_fisher(kappa: Tensor, m: int) -> _Shape:
    """f ∝ sin^{m−2} θ · exp(κ cos θ)."""
    nu = m - 2
    root = torch.sqrt(nu**2 + 4 * kappa.square())
    cosine = 2 * kappa / (nu + root)
    sine = torch.sqrt(2 * nu / (nu + root))  # not √(1 − cos²), which cancels
    cotangent = cosine / sine if nu else torch.zeros_like(kappa)

    def log_ratio(delta: Tensor) -> Tensor:
        # The terms linear in δ cancel at the mode; written so that they do in float32 as well.
        fall, line = 2 * torch.sin(0.5 * delta).square(), cotangent * torch.sin(delta)
        bend = nu * (torch.log1p((line - fall).clamp_min(-1)) - line) if nu else 0.0
        return bend - kappa * cosine * fall

    def score(theta: Tensor) -> Tensor:
        return -2 * torch.sin(0.5 * theta).square()  # cos θ − 1

    return _Shape(torch.atan2(sine, cosine), 0.5 * (nu + root) + kappa * cosine, log_ratio, score)


def _power_spherical(kappa: Tensor, m: int) -> _Shape:
    """f ∝ sin^{m−2} θ · (1 + cos θ)^κ."""
    nu = m - 2
    cosine = kappa / (nu + kappa)
    sine = torch.sqrt(nu * (nu + 2 * kappa)) / (nu + kappa)
    mode = torch.atan2(sine, cosine)
    cotangent = cosine / sine if nu else torch.zeros_like(kappa)
    tangent = torch.tan(0.5 * mode)

    def log_ratio(delta: Tensor) -> Tensor:
        fall, line = 2 * torch.sin(0.5 * delta).square(), cotangent * torch.sin(delta)
        bend = nu * (torch.log1p((line - fall).clamp_min(-1)) - line) if nu else 0.0
        # cos(½θ)/cos(½θ₀) = 1 − fall' − slope; ν cot θ₀ = κ tan ½θ₀ balances the lines.
        half_fall, slope = 2 * torch.sin(0.25 * delta).square(), tangent * torch.sin(0.5 * delta)
        power = 2 * kappa * (torch.log1p((-half_fall - slope).clamp_min(-1)) + slope)
        return bend + power + kappa * tangent * (torch.sin(delta) - 2 * torch.sin(0.5 * delta))

    def score(theta: Tensor) -> Tensor:
        return torch.log1p(-torch.sin(0.5 * theta).square().clamp_max(1 - 1e-6))  # log (1 + cos θ)/2

    return _Shape(mode, nu / sine.square() + kappa / (1 + cosine) if nu else 0.5 * kappa, log_ratio, score)


BELOW, ABOVE = 5.6, 6.6  # standard deviations about the mode that hold all but 10⁻⁷
CELLS, POINTS = 8, 4  # of the composite Gauss–Legendre rule over them
NEWTON = 6  # steps of the inverse, within a cell


class _VonMisesFisherAngle(torch.autograd.Function):
    """θ by rejection at PROPOSALS × 3 uniform numbers; by the inverse at one more where all are rejected."""

    @staticmethod
    def forward(ctx: Any, kappa: Tensor, u: Tensor, m: int) -> Tensor:
        kappa = kappa.expand(len(u), 1)
        # Column by column, which is several times faster than numbers that do not lie together.
        concentration = kappa[:, 0].contiguous()
        theta, accepted = _proposed(concentration, u[:, :3].t().contiguous(), m)
        rows = (~accepted).nonzero()[:, 0]
        for k in range(3, 3 * PROPOSALS, 3):
            columns = u[rows, k : k + 3].t().contiguous()
            theta[rows], accepted = _proposed(concentration[rows], columns, m)
            rows = rows[~accepted]
            if not len(rows):
                break
        theta = theta[:, None]
        if len(rows):
            theta[rows] = _inverse(u[rows, -1:], _von_mises_fisher(kappa[rows], m))
        ctx.save_for_backward(kappa, theta)
        ctx.m = m
        return theta

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        kappa, theta = ctx.saved_tensors
        return gradient * _slope(theta, _von_mises_fisher(kappa, ctx.m)), None, None


class _PowerSphericalAngle(torch.autograd.Function):
    """θ by the inverse at one uniform number."""

    @staticmethod
    def forward(ctx: Any, kappa: Tensor, u: Tensor, m: int) -> Tensor:
        kappa = kappa.expand(len(u), 1)
        theta = _inverse(u, _power_spherical(kappa, m))
        ctx.save_for_backward(kappa, theta)
        ctx.m = m
        return theta

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        kappa, theta = ctx.saved_tensors
        return gradient * _slope(theta, _power_spherical(kappa, ctx.m)), None, None


STEEP = 0.6  # κ / (m − 1) from which a gamma law is nearer than a beta law: 88 % are accepted there, or more


def _proposed(kappa: Tensor, uniforms: Tensor, m: int) -> tuple[Tensor, Tensor]:
    """A proposal θ made of uniforms (3, n), and whether it is accepted: (n,) each."""
    steep = kappa > STEEP * (m - 1) if m > 2 else torch.zeros_like(kappa, dtype=torch.bool)
    if steep.all():
        return _by_gamma(kappa, uniforms, m)
    theta, accepted = _by_beta(kappa, uniforms, m)
    if not steep.any():
        return theta, accepted
    other, accepted_too = _by_gamma(kappa, uniforms, m)
    return torch.where(steep, other, theta), torch.where(steep, accepted_too, accepted)


def _by_beta(kappa: Tensor, uniforms: Tensor, m: int) -> tuple[Tensor, Tensor]:
    """Ulrich 1984; Wood 1994.

    With t the first coordinate of a uniform point, tan² ½θ = b (1 + t)/(1 − t). Wood's test, written in
    r = (1 + b)/(b (1 + t) + 1 − t), is log test ≤ (m − 1) (1 − r + log r), and loses no digits at a large κ.
    """
    u, v, test = uniforms
    b = (m - 1) / (2 * kappa + torch.sqrt(4 * kappa.square() + (m - 1) ** 2))
    # A uniform point's first two coordinates have a squared length of law 1 − U^{2/(m−2)}.
    radius = torch.sqrt(1 - torch.exp(2 / (m - 2) * torch.log(u))) if m > 2 else 1.0
    t = radius * torch.cos(2 * math.pi * v)
    near, far = b * (1 + t), (1 - t).clamp_min(1e-12)
    r = (1 + b) / (near + far)
    return 2 * torch.atan(torch.sqrt(near / far)), torch.log(test) <= (m - 1) * (1 - r + torch.log(r))


def _by_gamma(kappa: Tensor, uniforms: Tensor, m: int) -> tuple[Tensor, Tensor]:
    """For m > 2 and a steep density. Marsaglia & Tsang 2000, ACM Trans. Math. Softw. 26(3).

    t = 1 − cos θ has a density ∝ t^{a−1} (2 − t)^{a−1} e^{−κt}, a = (m − 1)/2. In logarithms the middle
    factor lies below its tangent at t₀, and the rest is then a gamma law of order a; t₀ is chosen to be its
    mean. They draw it as a cube of 1 + e, e normal. Both tests are one, of differences that lose no digits.
    """
    u, v, test = uniforms
    a = (m - 1) / 2
    d = a - 1 / 3
    t0 = 4 * a / (2 * kappa + m - 2 + torch.sqrt((2 * kappa - 1).square() + (m - 2) ** 2 - 1))
    x = torch.sqrt(-2 * torch.log(u)) * torch.cos(2 * math.pi * v)
    e = x / math.sqrt(9 * d)
    rise = e * (3 + e * (3 + e))  # (1 + e)³ − 1
    t = d / a * t0 * (1 + rise)
    off = (t - t0) / (2 - t0)
    log_share = 0.5 * x.square() + d * (3 * torch.log1p(e) - rise) + (a - 1) * (torch.log1p(-off) + off)
    # Where t is outside of (0, 2) a logarithm is no number, and nothing is accepted.
    accepted = (torch.log(test) < log_share.clamp_max(0)) & (t < 2)
    return 2 * torch.atan(torch.sqrt(t / (2 - t))), accepted


def _inverse(u: Tensor, shape: _Shape) -> Tensor:
    """θ with F(θ) = u, (n, 1): the cell by the masses of all, then Newton's method within it."""
    low, high = _range(shape)
    width, x, w = (high - low) / CELLS, *_rule(u, 1)
    places, weights = _rule(u, CELLS)
    masses = (weights * torch.exp(shape.log_ratio(low + (high - low) * places))).unflatten(1, (CELLS, POINTS))
    cells = masses.sum(2) * CELLS  # of which each is measured in its own width
    edges = F.pad(cells.cumsum(1), (1, 0))
    target = u * edges[:, -1:]
    index = (edges[:, 1:-1] <= target).sum(1, keepdim=True)
    start, wanted = low + width * index, (target - edges.gather(1, index)).clamp_min(1e-30)
    part = (wanted / cells.gather(1, index)).clamp(1e-6, 1)
    left, right = torch.zeros_like(part), torch.ones_like(part)
    for _ in range(NEWTON):
        mass = part * (w * torch.exp(shape.log_ratio(start + width * part * x))).sum(1, keepdim=True)
        short = mass < wanted
        left, right = torch.where(short, part, left), torch.where(short, right, part)
        # In logarithms, where a mass that grows like a power of the place is a line.
        steepness = part * torch.exp(shape.log_ratio(start + width * part)) / mass
        step = part * torch.exp(torch.log(wanted / mass) / steepness)
        part = torch.where((step >= left) & (step <= right), step, 0.5 * (left + right))
    return shape.mode + start + width * part


def _slope(theta: Tensor, shape: _Shape) -> Tensor:
    """dθ/dκ at a fixed F(θ; κ): −∂F/∂κ / f = −1/f(θ) ∫ (score − E[score]) f from either end to θ, (n, 1).

    The implicit reparameterisation of Figurnov et al. 2018 (arXiv:1805.08498); as θ has one dimension, there
    is no other. Of the ends, the nearer one: the integral there is small, and its digits count.
    """
    low, high = _range(shape)
    places, weights = _rule(theta, CELLS)
    delta = low + (high - low) * places
    mass = weights * torch.exp(shape.log_ratio(delta))
    expected = (mass * shape.score(shape.mode + delta)).sum(1, keepdim=True) / mass.sum(1, keepdim=True)
    here, spare = theta - shape.mode, 3 * shape.curvature.rsqrt()
    end = torch.where(
        here < 0,
        low.minimum(here - spare).maximum(-shape.mode),
        high.maximum(here + spare).minimum(math.pi - shape.mode),
    )
    delta = end + (here - end) * places
    relative = weights * torch.exp(shape.log_ratio(delta) - shape.log_ratio(here))
    score = shape.score(shape.mode + delta) - expected
    return (end - here) * (relative * score).sum(1, keepdim=True)


def _range(shape: _Shape) -> tuple[Tensor, Tensor]:
    """Where the mass is, as differences from the mode: (n, 1) each."""
    std = shape.curvature.rsqrt()
    # Towards the south pole the curvature falls: there the chord is as long as the arc is elsewhere.
    above = 2 * torch.asin((0.5 * ABOVE * std).clamp_max(1))
    return (-BELOW * std).maximum(-shape.mode), above.minimum(math.pi - shape.mode)


def _rule(like: Tensor, cells: int) -> tuple[Tensor, Tensor]:
    """Gauss–Legendre points and weights on [0, 1], of equal cells: (cells · POINTS,) each."""
    x, w = np.polynomial.legendre.leggauss(POINTS)
    places = (np.arange(cells)[:, None] + (x + 1) / 2) / cells
    return like.new_tensor(places.ravel()), like.new_tensor(np.tile(w / 2, cells) / cells)
