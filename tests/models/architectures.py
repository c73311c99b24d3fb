"""Tiny random models of many architectures, and the tokenizers they are given."""

import torch
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

TEXTS = ["How many apples are 12 and 7 apples?", "Add them: naïve or not, 12 + 7 = 19.", "the then than think thing"]
TEMPLATE = (
    "{% for m in messages %}<|turn|>{{ m.role }}\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}"
)
SIZES = {
    "vocab_size": 320,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "intermediate_size": 48,
    "max_position_embeddings": 128,
    "initializer_range": 0.2,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
_PLAIN = {key: value for key, value in SIZES.items() if key not in {"num_key_value_heads", "head_dim"}}
_GPT2 = {"vocab_size": 320, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128, "initializer_range": 0.2}

CONFIGS = {
    "llama": ("LlamaConfig", {**SIZES}),
    "qwen3": ("Qwen3Config", {**SIZES, "tie_word_embeddings": True}),
    "gemma": ("GemmaConfig", {**SIZES}),
    "gemma2_softcap": ("Gemma2Config", {**SIZES, "final_logit_softcapping": 3.0, "sliding_window": 8}),
    "granite_scaled": ("GraniteConfig", {**_PLAIN, "num_key_value_heads": 2, "logits_scaling": 4.0}),
    "gpt2": ("GPT2Config", {**_GPT2, "bos_token_id": 0, "eos_token_id": 2}),
    "gpt_neox": ("GPTNeoXConfig", {**_PLAIN}),
    "mistral_sliding": ("MistralConfig", {**SIZES, "sliding_window": 8}),
    "qwen3_moe": (
        "Qwen3MoeConfig",
        {**SIZES, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "decoder_sparse_step": 1},
    ),
}


def make_model(kind, **changes):
    """A random model of one of CONFIGS, the same every time."""
    name, settings = CONFIGS[kind]
    torch.manual_seed(0)
    config = getattr(transformers, name)(**{**settings, **changes})
    return transformers.AutoModelForCausalLM.from_config(config).eval()


def byte_level_tokenizer(template=TEMPLATE, added=("<think>", "</think>"), special=("<|turn|>",)):
    """Byte-level BPE: any text can be encoded, most characters beyond ASCII take several tokens."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|pad|>", *special, "<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(TEXTS, trainer)
    core.add_tokens([AddedToken(text, normalized=False) for text in added])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token="<|end|>",
        pad_token="<|pad|>",
        chat_template=template,
    )


def byte_fallback_tokenizer(special=("<s>", "</s>")):
    """Words with a leading space mark, and one token for each byte outside the vocabulary, as in sentencepiece."""
    words = ["▁", "▁the", "▁think", "a", "b", "c", "t", "h", "e", "n", "i", "k", "▁t", "▁th", "ï", ".", "1", "2"]
    pieces = [*special, "<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), *words]
    merges = [("▁", "t"), ("▁t", "h"), ("▁th", "e")]
    vocabulary = {piece: at for at, piece in enumerate(pieces)}
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def save(folder, kind="llama", tokenizer=None, **changes):
    """A model and its tokenizer as an ordinary folder."""
    make_model(kind, **changes).save_pretrained(folder)
    (byte_level_tokenizer() if tokenizer is None else tokenizer).save_pretrained(folder)
    return folder
