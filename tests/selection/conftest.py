from hypothesis import settings

settings.register_profile("no_clock", deadline=None, max_examples=60)
settings.load_profile("no_clock")
