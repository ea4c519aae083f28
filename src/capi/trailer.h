// 0 itself, for an option of which 0 is another value than the default: 0 is the default of every option.
#define FLEMING_ZERO SIZE_MAX

// What a struct begins as: its size, and 0 or NULL in every field.
#define FLEMING_ENGINE_OPTIONS_INIT \
    { sizeof(fleming_engine_options), NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, NULL, NULL, 0, 0, NULL, 0, 0, 0, 0, \
      NULL, NULL }
#define FLEMING_ASK_OPTIONS_INIT \
    { sizeof(fleming_ask_options), NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, \
      0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL, 0, 0, 0, 0, NULL, 0, 0 }
#define FLEMING_STUDY_OPTIONS_INIT { sizeof(fleming_study_options), NULL, 0, 0, 0, 0, 0, 0, NULL, NULL }
#define FLEMING_SERIES_INIT { sizeof(fleming_series), NULL, 0, NULL, NULL, NULL, 0 }
#define FLEMING_FRAMES_INIT \
    { sizeof(fleming_frames), NULL, NULL, 0, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, NULL, 0, 0 }
#define FLEMING_VOLUME_INIT \
    { sizeof(fleming_volume), NULL, NULL, 0, 0, 0, { 0, 0, 0 }, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
      { { 0, 0, 0 }, { 0, 0, 0 }, { 0, 0, 0 } }, { 0, 0, 0 }, NULL, 0, 0, 0, 0, 0, 0 }
#define FLEMING_MEMORY_INIT { sizeof(fleming_memory), 0, 0, 0, 0, 0 }
#define FLEMING_ENGINE_FACTS_INIT \
    { sizeof(fleming_engine_facts), NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
      0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL }
#define FLEMING_REPLY_FACTS_INIT \
    { sizeof(fleming_reply_facts), NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, 0, 0 }
#define FLEMING_TOKEN_FACTS_INIT { sizeof(fleming_token_facts), NULL, 0, 0, 0, 0, 0 }
#define FLEMING_TOKEN_COUNT_INIT { sizeof(fleming_token_count), 0, 0, 0, 0, 0, 0 }
#define FLEMING_BUFFER_FACTS_INIT { sizeof(fleming_buffer_facts), NULL, 0 }
#define FLEMING_ERROR_FACTS_INIT { sizeof(fleming_error_facts), NULL, NULL, NULL, NULL, NULL, 0, 0 }
#define FLEMING_FRAME_FACTS_INIT \
    { sizeof(fleming_frame_facts), NULL, 0, 0, 0, 0, 0, 0, { 0, 0, 0 }, 0, 0 }
#define FLEMING_PREVIEW_FACTS_INIT { sizeof(fleming_preview_facts), NULL, 0, NULL, 0, 0, NULL, 0 }
#define FLEMING_PICTURE_INIT { sizeof(fleming_picture), NULL, 0, 0 }
#define FLEMING_EMBEDDINGS_FACTS_INIT { sizeof(fleming_embeddings_facts), NULL, 0, 0, 0 }

#endif
