"""Each provider's way of being asked for images and videos: sans-IO, an order in, HTTP calls out.

registry.py            which adapter makes videos on which surface
openai_videos.py       OpenAI's Videos API (Sora)
gemini_operations.py   Gemini's long-running operations (Veo)
ark_tasks.py           Volcengine Ark's content generation tasks (Seedance)
*_images.py            the APIs that draw while one waits
answers.py             what the adapters of videos read in the same way
ark_errors.py          what Ark's error answers mean
frame_sizes.py         pixels, ratios and named resolutions of videos, from one to the other
multipart.py           multipart/form-data bodies
"""
