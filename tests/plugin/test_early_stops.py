"""Early stops of slices, given examples, documents, judges, and what a test's body measures."""

from __future__ import annotations


def budget(variant, limits, workload="invoice"):
    bound = f"workload={workload}, " if workload else ""
    return f"@pytest.mark.quant_budget({variant!r}, {bound}{limits})\n"


def test_budgets_on_slices_stop_by_their_own_examples(project):
    project.tests(
        "sliced = large('sliced', slice=lambda i: 'low' if i % 1000 < 200 else 'high')\n"
        + budget("int4", "slice='low', max_accuracy_drop=0.05", "sliced")
        + budget("int4", "slice='high', max_accuracy_drop=0.05", "sliced")
        + "def test_a(quant): ..."
    )

    project.run("--quant-json=run.json")

    found = {one["slice"]: one for one in project.record()["checks"]}
    low, high = found["low"], found["high"]
    assert (low["outcome"], low["n_planned"]) == ("fail", 600)
    assert (high["outcome"], high["n_planned"]) == ("pass", 1800)
    assert 300 <= low["n"] < 600
    assert 300 <= high["n"] < 1800
    assert (low["variant_level"], high["variant_level"]) == (0, 1)
    assert low["stopped_early"]
    assert high["stopped_early"]


def test_a_slice_too_small_to_stop_has_the_workload_measured_whole(project):
    project.tests(
        "sliced = large('sliced', slice=lambda i: 'low' if i % 1000 < 100 else 'high')\n"
        + budget("int4", "max_accuracy_drop=0.05", "sliced")
        + budget("int4", "slice='low', max_accuracy_drop=0.05", "sliced")
        + "def test_a(quant): ..."
    )

    project.run("--quant-json=run.json")

    found = {one["slice"]: (one["n"], one["stopped_early"]) for one in project.record()["checks"]}
    assert found == {None: (300, True), "low": (300, False)}
    assert min(m["n"] for m in project.record()["measurements"]) > 2000


def test_an_unknown_slice_is_refused_before_anything_is_scored(project):
    project.tests(budget("int4", "slice='low', max_accuracy_drop=0.05") + "def test_a(quant): ...")

    result = project.run()

    assert result.ret == 4
    result.stdout.fnmatch_lines(["*workload invoice has no such slice*no field slice*"])


def test_claims_about_these_examples_wait_for_all_unless_stopping_is_on(project):
    project.tests(
        budget("int4", "max_accuracy_drop=0.05, target='dataset'")
        + budget("mild", "max_accuracy_drop=0.05")
        + "def test_a(quant): ..."
    )

    project.run("--quant-json=run.json")
    (exact,) = [one for one in project.record()["checks"] if one["variant"] == "int4"]
    assert (exact["n"], exact["low"], exact["is_in_family"]) == (2400, None, False)

    result = project.run("--quant-json=run.json", "--quant-sequential=on")
    (early,) = [one for one in project.record()["checks"] if one["variant"] == "int4"]
    assert early["outcome"] == "fail"
    assert early["n"] < early["n_planned"] == 2400
    assert early["is_in_family"]
    assert 0.05 < early["low"] < 0.25 < early["high"]
    result.stdout.fnmatch_lines(["*on these 2,400 examples, stopped early at *"])


def test_a_body_without_budgets_on_it_measures_all(project):
    project.tests(
        budget("int4", "max_accuracy_drop=0.05", "quiz") + "def test_a(quant):\n"
        "    found = quant.measure(invoice)\n"
        "    assert (found.n, found.variant['accuracy']) == (2400, 0.75)\n"
    )

    result = project.run()

    result.stdout.no_fnmatch_line("*AssertionError*")
    result.stdout.fnmatch_lines(["*int4*75.0 %"])


def test_a_budget_that_binds_in_the_body_has_more_measured_if_it_needs_more(project):
    project.tests(
        budget("int4", "max_accuracy_drop=0.05")
        + budget("int4", "max_flip_rate=0.26", workload="")
        + "def test_a(quant): quant.measure(invoice)"
    )

    project.run("--quant-json=run.json")

    drop, flips = (
        next(one for one in project.record()["checks"] if one["keyword"] == keyword)
        for keyword in ("max_accuracy_drop", "max_flip_rate")
    )
    assert (drop["n"], drop["stopped_early"]) == (300, True)
    assert (flips["n"], flips["n_planned"], flips["stopped_early"]) == (2400, 2400, False)


def test_a_judge_sees_the_measured_prefix_only(project):
    project.tests(
        budget("int4", "max_score_drop=0.05", "") + "def test_a(quant):\n"
        "    seen = []\n"
        "    def judge(example, reference, variant):\n"
        "        seen.append(example)\n"
        "        return 1 if reference == variant else 0\n"
        "    prompts = [f'write {i}' for i in range(2400)]\n"
        "    found = quant.compare(prompts, judge=judge, max_new_tokens=8)\n"
        "    assert found.n == len(seen) == len(set(seen)) == 300\n"
    )

    result = project.run("--quant-json=run.json")

    result.stdout.fnmatch_lines(["FAIL: int4*score drop*"])
    (check,) = project.record()["checks"]
    assert (check["n"], check["n_planned"]) == (300, 2400)


def test_documents_stop_at_a_look(project):
    project.tests(
        "book = Documents.from_examples(rows(2000, text=lambda i: f'page {i} ' + 'of the book ' *\n"
        "    (5 + i % 4)), name='book')\n"
        + budget("int4", "max_perplexity_ratio=1.06", "book")
        + "def test_a(quant): ..."
    )

    result = project.run("--quant-json=run.json")

    (check,) = project.record()["checks"]
    assert (check["outcome"], check["n"]) == ("fail", 400)
    result.stdout.fnmatch_lines(["*book*int4*FAIL*stopped early at 400 of 2,000"])


def test_a_plan_after_an_early_stop_counts_all_examples(project):
    project.tests(
        budget("int4", "max_accuracy_drop=0.05", "")
        + "def test_a(quant):\n    quant.measure(invoice)\n"
    )
    project.run("-p", "cacheprovider")

    result = project.run("--quant-plan")

    line = next(line for line in result.outlines if line.startswith(" invoice"))
    assert line.split()[3] == "2,400"


def test_a_plan_of_a_slice_stops_where_its_workload_may(project):
    project.tests(
        "sliced = large('sliced', slice=lambda i: 'low' if i % 1000 < 200 else 'high')\n"
        + budget("int4", "slice='low', max_accuracy_drop=0.05", "sliced")
        + "def test_a(quant): ..."
    )

    result = project.run("--quant-plan")

    header, line = (one.split() for one in result.outlines if one.startswith((" work", " sliced[")))
    assert header[-2:] == ["n", "expected"]
    assert line[3] == "600"
    assert 0 < int(line[-2]) < 600
