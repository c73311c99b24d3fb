import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.models.architectures import TEMPLATE, byte_level_tokenizer
from workbench.models import ThinkMarkers
from workbench.models.marker_families import FAMILIES
from workbench.models.marker_search import find_think_markers

OPEN, CLOSE, TURN = 90, 91, 99
SIMPLE = ThinkMarkers((OPEN,), (CLOSE,), "<think>", "</think>", turn_ids=frozenset({TURN}))
LONG = ThinkMarkers((1, 2, 3), (1, 4, 3), "<think>", "</think>")
SHORT = {"think": "t", "answer": "a", "marker": "m"}


def letters(markers, ids, prompt=()):
    return "".join(SHORT[phase] for phase in markers.phases(ids, prompt))


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([], ""),
        ([7, 7], "aa"),
        ([OPEN, 7, 7, CLOSE, 8, 8], "mttmaa"),
        ([OPEN, 7, 7], "mtt"),
        ([OPEN, CLOSE, 8], "mma"),
        ([OPEN, 7, CLOSE, 8, OPEN, 7, CLOSE, 8], "mtmamtma"),
        ([7, 7, CLOSE, 8], "ttma"),  # the template had opened the block
        ([OPEN, 7, CLOSE, 8, CLOSE, 8], "mtmama"),  # a second closing marker changes nothing before it
        ([8, OPEN, 7, CLOSE, 8], "amtma"),
    ],
)
def test_phases_of_a_text(ids, expected):
    assert letters(SIMPLE, ids) == expected


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ([TURN, 5, OPEN], "ttma"),  # the template opens the block
        ([TURN, 5, OPEN, 6, 6], "ttma"),  # the user began the thought
        ([TURN, 5, OPEN, CLOSE], "aama"),  # thinking switched off: the stray marker says nothing
        ([TURN, OPEN, 5, TURN, 6], "ttma"),  # typed by the user in an earlier turn: the closing marker alone counts
    ],
)
def test_prompt_decides_how_the_text_begins(prompt, expected):
    assert letters(SIMPLE, [7, 7, CLOSE, 8], prompt) == expected


def test_marker_typed_by_a_user_does_not_open():
    assert letters(SIMPLE, [7, 7], [TURN, OPEN, 5, TURN, 6]) == "aa"


def test_generation_prompt_outweighs_what_users_typed_where_turns_have_no_tokens():
    plain = ThinkMarkers((OPEN,), (CLOSE,), "", "", generation_ids=(5, 6))
    assert letters(plain, [7], [OPEN, 4, 5, 6]) == "a"
    opening = ThinkMarkers((OPEN,), (CLOSE,), "", "", generation_ids=(5, 6, OPEN))
    assert letters(opening, [7, CLOSE, 8], [1, 5, 6, OPEN]) == "tma"


def test_markers_of_several_tokens():
    assert letters(LONG, [1, 2, 3, 7, 1, 7, 1, 4, 3, 8]) == "mmmtttmmma"


def test_half_a_marker_is_no_marker():
    assert letters(LONG, [7, 1, 2]) == "aaa"


def test_labeller_recognises_a_long_marker_on_its_last_token_and_corrects_the_earlier_ones():
    labeller = LONG.labeller()
    assert [labeller.add(i) for i in [1, 2, 3, 7]] == ["answer", "answer", "marker", "think"]
    assert labeller.phases == ["marker", "marker", "marker", "think"]


@given(st.lists(st.sampled_from([1, 2, 3, 4, 7]), max_size=40), st.lists(st.sampled_from([1, 2, 3, 4, 7]), max_size=12))
def test_streaming_ends_with_the_same_labels(ids, prompt):
    labeller = LONG.labeller(prompt)
    for token_id in ids:
        labeller.add(token_id)
    assert labeller.phases == LONG.phases(ids, prompt)
    assert len(labeller.phases) == len(ids)


@given(st.lists(st.integers(0, 80), max_size=20), st.lists(st.integers(0, 80), max_size=20))
def test_text_between_markers_is_thought_and_the_rest_is_not(thought, answer):
    ids = [OPEN, *thought, CLOSE, *answer]
    assert letters(SIMPLE, ids) == "m" + "t" * len(thought) + "m" + "a" * len(answer)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.opening)
def test_every_family_is_found_among_the_tokens(family):
    needed = family.tokens or (family.opening, family.closing)
    tokenizer = byte_level_tokenizer(added=needed)
    markers = find_think_markers(tokenizer)
    assert (markers.open_text, markers.close_text) == (family.opening, family.closing)
    ids = tokenizer(f"{family.opening}so 12{family.closing}19", add_special_tokens=False)["input_ids"]
    phases = markers.phases(ids)
    assert phases[0] == "marker"
    assert "think" in phases
    assert phases[-1] == "answer"


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.opening)
def test_every_family_is_found_by_its_chat_template_alone(family):
    template = "{# thought stands between %s and %s #}" % (family.opening, family.closing) + TEMPLATE  # noqa: UP031
    markers = find_think_markers(byte_level_tokenizer(template, added=()))
    assert markers.open_text == family.opening


def test_markers_that_are_only_text_do_not_count():
    assert find_think_markers(byte_level_tokenizer(added=())) is None


def test_marker_in_vocabulary_and_template_goes_before_one_in_the_vocabulary_alone():
    added = ("<think>", "</think>", "[THINK]", "[/THINK]")
    template = "{# [THINK] [/THINK] #}" + TEMPLATE
    assert find_think_markers(byte_level_tokenizer(template, added=added)).open_text == "[THINK]"


def test_spelled_out_marker_is_found_where_it_merges_with_its_neighbours():
    template = "{# <think> </think> #}" + TEMPLATE
    tokenizer = byte_level_tokenizer(template, added=())
    markers = find_think_markers(tokenizer)
    assert len(markers.open_ids) > 1
    # '>\n' or '.<' may be one token in a larger vocabulary; make it so here
    grown = byte_level_tokenizer(template, added=(">\n", ".<"))
    markers = find_think_markers(grown)
    ids = grown("<think>\nso it is.</think>\n19", add_special_tokens=False)["input_ids"]
    pieces = [grown.decode([i]) for i in ids]
    assert ">\n" in pieces
    assert ".<" in pieces
    phases = markers.phases(ids)
    assert [phase for phase, piece in zip(phases, pieces, strict=True) if piece in (">\n", ".<")] == ["marker"] * 3
    assert phases[-1] == "answer"


def test_channels():
    tokens = ("<|channel|>", "<|message|>", "<|end|>", "<|start|>", "<|return|>")
    tokenizer = byte_level_tokenizer(added=("<|channel|>", "<|message|>"), special=("<|start|>", "<|return|>"))
    assert all(len(tokenizer(t, add_special_tokens=False)["input_ids"]) == 1 for t in tokens)
    markers = find_think_markers(tokenizer)
    prompt = tokenizer("<|start|>user<|message|>Hi<|end|><|start|>assistant", add_special_tokens=False)["input_ids"]
    text = "<|channel|>analysis<|message|>12<|end|><|start|>assistant<|channel|>final<|message|>19"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    phases = markers.phases(ids, prompt)
    where = {
        phase: "".join(tokenizer.decode([i]) for i, p in zip(ids, phases, strict=True) if p == phase) for phase in SHORT
    }
    assert where["think"] == "12"
    assert where["answer"] == "19"
    direct = tokenizer("<|channel|>final<|message|>19", add_special_tokens=False)["input_ids"]
    assert "think" not in markers.phases(direct, prompt)


def test_template_that_opens_the_block():
    template = TEMPLATE.replace("assistant\n{% endif %}", "assistant\n<think>\n{% endif %}")
    tokenizer = byte_level_tokenizer(template)
    markers = find_think_markers(tokenizer)
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True
    )
    prompt = tokenizer(text, add_special_tokens=False)["input_ids"]
    ids = tokenizer("12</think>19", add_special_tokens=False)["input_ids"]
    assert letters(markers, ids, prompt) == "t" * (len(ids) - 3) + "maa"


def test_user_who_types_a_marker_through_a_real_template(tokenizer):
    markers = find_think_markers(tokenizer)
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "what is <think> for?"}], tokenize=False, add_generation_prompt=True
    )
    prompt = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert set(markers.phases([5, 6, 7], prompt)) == {"answer"}
