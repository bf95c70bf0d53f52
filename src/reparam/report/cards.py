"""The card of one model: its networks and training flow, its losses, its randomness."""

import json
from html import escape

from reparam.report.schema import Card, Entry, LossCard, Move, NoiseCard, Player, TurnCard


def card(entry: Entry) -> str:
    """The three points, in their order, then settings and notes."""
    shown = entry.card
    return (
        f'<div class="points">{_networks(shown)}{_losses(shown.losses)}{_randomness(shown.noise)}</div>'
        f"{_notes(entry.notes)}{_settings(entry)}"
    )


def table(head: list[str], rows: list[list[str]], caption: str) -> str:
    """A plain table; the cells of ``rows`` are HTML already, the first of each row its header."""
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>'
        for row in rows
    )
    return (
        f'<div class="scroll"><table class="plain"><caption class="hidden">{escape(caption)}</caption>'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _networks(shown: Card) -> str:
    turns = "".join(_turn(turn) for turn in shown.turns)
    return (
        '<section><h4><span class="point">1</span> Networks and training flow</h4>'
        f'<p class="flow">{escape(shown.flow)}</p>'
        f'<ol class="turns">{turns}</ol>{"".join(_player(player) for player in shown.players)}</section>'
    )


def _turn(turn: TurnCard) -> str:
    repeats = f' <span class="quiet">× {turn.repeats} a step</span>' if turn.repeats > 1 else ""
    moves = "".join(
        f"<li><b>{escape(', '.join(move.players))}</b> {_lowers(move)}{_when(move)}</li>"
        for move in turn.moves
    )
    return f'<li><span class="name">{escape(turn.name)}</span>{repeats}<ul>{moves}</ul></li>'


def _lowers(move: Move) -> str:
    alone, terms = len(move.players) == 1, _weighted(move.lowers)
    if move.sampled:
        return f"{'is' if alone else 'are'} sampled by exp(−N · ({terms}))"
    return f"{'lowers' if alone else 'lower'} {terms}"


def _when(move: Move) -> str:
    said = "; ".join(words for words in (move.sampled, move.when) if words)
    return f' <span class="quiet">{escape(said)}</span>' if said else ""


def _weighted(lowers: dict[str, str]) -> str:
    terms = (
        f"<i>{escape(term)}</i>" if weight in ("1", "1.0") else f"{escape(weight)} × <i>{escape(term)}</i>"
        for term, weight in lowers.items()
    )
    return " + ".join(terms)


def _player(player: Player) -> str:
    head = (
        f"<b>{escape(player.name)}</b> "
        f'<span class="quiet">{escape(player.description)}{"; " if player.description else ""}'
        f"{player.parameters:,} parameters</span>"
    )
    if not player.shapes:
        return f'<p class="player">{head}</p>'
    rows = [[escape(layer.layer), escape(layer.output)] for layer in player.shapes]
    layers = table(["layer", "output"], rows, f"Layers of {player.name}")
    return f'<details class="player"><summary>{head}</summary>{layers}</details>'


def _losses(losses: list[LossCard]) -> str:
    body = ""
    for loss in losses:
        terms = "".join(
            f"<div><dt>{escape(term)}</dt><dd>{escape(formula)}</dd></div>"
            for term, formula in loss.terms.items()
        )
        body += (
            f'<div class="loss"><b class="name">{escape(loss.name)}</b> '
            f'<span class="quiet">{escape(loss.summary)}</span><dl class="terms">{terms}</dl></div>'
        )
    return f'<section><h4><span class="point">2</span> Losses</h4>{body}</section>'


def _randomness(noise: list[NoiseCard]) -> str:
    body = "".join(
        f'<div class="noise"><b class="name">{escape(source.name)}</b> '
        f'<span class="law">~ {escape(source.law)}</span>'
        f"<dl><div><dt>enters</dt><dd>{escape(', '.join(source.enters) or 'no loss')}</dd></div>"
        f"<div><dt>redrawn</dt><dd>{escape(source.redrawn)}</dd></div>"
        f"<div><dt>at evaluation</dt><dd>{escape(source.evaluation)}</dd></div></dl></div>"
        for source in noise
    )
    return f'<section><h4><span class="point">3</span> Randomness</h4>{body or "<p>None.</p>"}</section>'


def _notes(notes: list[str]) -> str:
    return f'<ul class="notes">{"".join(f"<li>{escape(note)}</li>" for note in notes)}</ul>' if notes else ""


def _settings(entry: Entry) -> str:
    rows = [
        [
            escape(name),
            escape(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)),
        ]
        for name, value in entry.settings.items()
    ]
    if not rows:
        return ""
    settings = table(["setting", "value"], rows, f"Settings of {entry.name}")
    return f"<details><summary>Settings</summary>{settings}</details>"
