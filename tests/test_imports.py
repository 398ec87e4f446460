"""No file imports itself by way of others, late imports included; those for the type checker alone aside."""

from graphlib import TopologicalSorter

from grimp import build_graph


def test_there_is_no_circle() -> None:
    graph = build_graph("gan_models", "components", "pipeline", exclude_type_checking_imports=True)
    imported = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imported) > 200
    TopologicalSorter(imported).prepare()  # raises CycleError, with the circle
