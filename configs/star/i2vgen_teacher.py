# i2vgen.py as a teacher. Its sampler adds no noise, so that a clip's result
# follows from where it starts.
_base_ = 'i2vgen.py'
model = dict(restore_options=dict(sampler='ddim', mode='normal', steps=25))
