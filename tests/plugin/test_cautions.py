"""Data and settings under which verdicts say less than they seem to: the summary tells."""

REPEATED = """
twice = MultipleChoice.from_examples(
    [{"id": f"e{i}", "context": f"question {i // 2}:", "choices": [" right", " wrong"],
      "answer": 0, CLUSTER} for i in range(400)], name="twice")

@pytest.mark.quant_budget("int8", workload=twice, max_accuracy_drop=0.9)
def test_twice(quant): ...
"""


def test_repeated_examples_are_said_once(project, how):
    project.tests(REPEATED.replace(", CLUSTER", ""))

    result = project.run(*how)

    assert result.ret == 0
    said = [line for line in result.outlines if "repeat another one" in line]
    assert len(said) == 1
    assert "twice: 200 of 400 examples" in said[0]
    assert "(e0 and e1)" in said[0]


def test_repeated_examples_of_one_cluster_are_in_order(project):
    project.tests(REPEATED.replace("CLUSTER", '"cluster": f"c{i // 2}"'))

    project.run().stdout.no_fnmatch_line("*repeat another one*")


def test_a_family_in_which_nothing_can_fail_is_said(project):
    project.tests(
        "@pytest.mark.quant_budget('int8', workload=quiz, max_accuracy_drop=0.9)\n"
        "def test_quiz(quant): ..."
    )

    large, small = (project.run(f"--quant-family-size={size}") for size in (50_001, 50_000))

    large.stdout.fnmatch_lines(["*warning: the family is so large that*p-value of 1e-06 only*"])
    small.stdout.no_fnmatch_line("*the family is so large*")


def test_the_reference_compared_with_itself_is_said(project):
    project.tests(
        "@pytest.mark.quant_budget('fp16', 'int8', workload=quiz, max_accuracy_drop=0.9)\n"
        "@pytest.mark.quant_budget('fp16', workload=quiz, min_accuracy=0.1)\n"
        "def test_quiz(quant): ..."
    )

    result = project.run()

    assert result.ret == 0
    said = [line for line in result.outlines if "is the reference itself" in line]
    assert [line.partition(" is the")[0] for line in said] == [" warning: fp16"]


def test_a_floor_of_the_reference_is_no_comparison(project):
    project.tests(
        "@pytest.mark.quant_budget('fp16', workload=quiz, min_accuracy=0.1)\n"
        "def test_quiz(quant): ..."
    )

    project.run().stdout.no_fnmatch_line("*is the reference itself*")


def test_a_run_that_fell_back_to_the_cpu_says_so(project, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    project.tests(
        "@pytest.mark.quant_budget('int8', max_weight_memory_ratio=0.9)\ndef test_a(quant): ..."
    )

    said = [project.run(f"--quant-device={name}").stdout.str() for name in ("auto", "cpu")]

    assert said[0].count("warning: there is no CUDA device, so models ran on the CPU (") == 1
    assert "no CUDA device" not in said[1]
