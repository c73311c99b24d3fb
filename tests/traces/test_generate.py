"""Text alone is the text of the traces."""

import workbench as wb


def test_generate_gives_the_text_that_record_keeps():
    model, sampler = wb.load("demo-small"), wb.Sampler(temperature=0.9, top_p=0.9)
    about = {"sampler": sampler, "max_new_tokens": 30, "seed": 3}
    assert wb.generate(model, "What is 3 plus 4?", **about) == wb.record(model, "What is 3 plus 4?", **about).text
    several = wb.generate(model, "What is 3 plus 4?", n=2, **about)
    assert several == [trace.text for trace in wb.record(model, "What is 3 plus 4?", n=2, **about)]
