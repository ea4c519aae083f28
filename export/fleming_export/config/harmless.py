"""Keys of config.json that do not change what the model computes, so that others can be named."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .section import Section

#: Of any configuration of transformers: bookkeeping, training, and defaults of generation.
BOOKKEEPING = frozenset(
    """_attn_implementation _attn_implementation_autoset _commit_hash _name_or_path add_cross_attention
    architectures attention_dropout attn_implementation auto_map bad_words_ids begin_suppress_tokens
    bos_token_id chunk_size_feed_forward cross_attention_hidden_size decoder_start_token_id
    diversity_penalty do_sample dtype early_stopping encoder_no_repeat_ngram_size eos_token_id
    exponential_decay_length_penalty finetuning_task forced_bos_token_id forced_eos_token_id
    hidden_dropout_prob id2label initializer_factor initializer_range is_decoder is_encoder_decoder
    keys_to_ignore_at_inference label2id length_penalty max_length max_window_layers min_length model_type
    no_repeat_ngram_size num_beam_groups num_beams num_return_sequences output_attentions
    output_hidden_states output_scores pad_token_id prefix problem_type pruned_heads
    remove_invalid_values repetition_penalty return_dict return_dict_in_generate sep_token_id
    sliding_window suppress_tokens task_specific_params temperature tf_legacy_loss tie_encoder_decoder
    tie_word_embeddings tokenizer_class top_k top_p torch_dtype torchscript transformers_version
    typical_p unsloth_fixed unsloth_version use_bfloat16 use_cache use_sliding_window vocab_size""".split()
)
#: Of InternVL: training, what the caller of the model chooses, and what other keys say as well.
INTERNVL = frozenset(
    """base_model dropout drop_path_rate dynamic_image_size freeze_backbone freeze_llm freeze_mlp
    image_seq_length image_size img_context_token_id layer_scale_init_value max_dynamic_patch
    min_dynamic_patch num_image_token output_attentions pad_to_multiple_of projection_dropout
    shared_expert_intermediate_size system_message use_flash_attn use_thumbnail num_experts
    num_routed_experts num_shared_experts capacity_factor eval_capacity_factor ep_size laux_allreduce
    moe_coeff_ratio moe_intermediate_size moe_output_scale noisy_gate_policy shared_expert_coeff
    use_residual use_rts use_weighted_residual""".split()
)
#: What other models have, and what means that they do not use it: no graph here implements anything else.
NEUTRAL = {
    "attention_multiplier": (1, None),
    "attn_logit_softcapping": (None,),
    "dual_chunk_attention_config": (None,),
    "embedding_multiplier": (1, None),
    "final_logit_softcapping": (None,),
    "logit_scale": (1, None),
    "logits_scaling": (1, None),
    "mlp_bias": (False, None),
    "mrope_section": (None,),
    "no_rope_layers": (None,),
    "partial_rotary_factor": (1, None),
    "query_pre_attn_scalar": (None,),
    "residual_multiplier": (1, None),
    "use_mrope": (False, None),
}

#: Unknown keys that a notice names.
SHOWN = 6


def check_others(sections: Iterable[Section], tell: Callable[[str], object]) -> None:
    """Refuses keys that change what a model computes, and names those that nothing is known of."""
    unknown = []
    for section in sections:
        for key, neutral in NEUTRAL.items():
            if key in section.content and section.get(key) not in neutral:
                raise section.error(key, f"{neutral[0]!r}, or no such key", section.content[key])
        rest = (key for key in section.unasked() if key not in BOOKKEEPING | INTERNVL)
        unknown += [f"{section.where}.{key}".removeprefix("config.json.") for key in rest]
    if unknown:
        shown = ", ".join(unknown[:SHOWN]) + (f" and {len(unknown) - SHOWN} more" if unknown[SHOWN:] else "")
        tell(f"config.json: keys that the exporter does not know are ignored: {shown}")
