"""The models that a studio composes with: those shipped, and those that it was started with, by names that tell no
place on disk."""

from collections.abc import Sequence
from typing import Any

from powermuse import recipe, weights
from powermuse.types import BadInput


class Models:
    """Models by name; one that was brought is called as its folder is."""

    def __init__(self, brought: Sequence[str] = ()) -> None:
        """`brought`: folders of models or runs. Raises BadInput for what is none, and for two of one name."""
        self._places = {name: name for name in weights.shipped_models()}
        for given in brought:
            place = weights.find_model(given).resolve()
            if place.name in self._places:
                raise BadInput(f"--model {given}: a model is called {place.name} already; give its folder another name")
            self._places[place.name] = str(place)

    def place(self, name: str) -> str:
        """What `weights.load_model` takes for it. Raises BadInput where none is called so."""
        if name not in self._places:
            raise BadInput(f"no model is called {name!r} here")
        return self._places[name]

    def told(self) -> list[dict[str, Any]]:
        """What a page may know of each that is there now: its name, whether it has factors, its orchestrations."""
        found = []
        for name, place in self._places.items():
            try:
                run = recipe.load(str(weights.find_model(place) / "recipe.yaml"))
            except BadInput:  # its folder was taken away, or is being written anew
                continue
            flows = run.composer == "flow"
            found.append({
                "name": name, "factors": flows, "orchestrations": run.flow.orchestrations if flows else [],
            })  # fmt: skip
        return found

    def without_places(self, message: str) -> str:
        """A message with the names of models in the place of where they lie."""
        for name, place in self._places.items():
            message = message.replace(place, name) if place != name else message
        return message
