"""An optional Django app with two tables: backup codes, and the value that ends remembered
browsers.

    INSTALLED_APPS = [..., "otpverify.integrations.django.second_factor"]

Then run `manage.py migrate`.
"""
