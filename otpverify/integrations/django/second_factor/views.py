"""The page of backup codes and remembered browsers, for the person who is signed in."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.http import HttpResponseBase

from otpverify.integrations.django import accounts, api, conf, remembered, requests
from otpverify.integrations.django.account_notices import notify
from otpverify.integrations.django.backup_codes import backup_codes
from otpverify.integrations.django.base import AsyncFlow
from otpverify.integrations.django.current_phone import AccountFlow
from otpverify.integrations.django.requests import lazy_text as _
from otpverify.integrations.django.signals import backup_codes_made
from otpverify.integrations.web.account_notices import AccountChange
from otpverify.integrations.web.enrolment import BROWSERS_FORGOTTEN
from otpverify.integrations.web.notices import Carried, Notice


class BackupCodesView(AccountFlow):
    """Shows how many backup codes are left, and makes new ones, which it shows once: in the reply
    to the form, which no session and no log holds. Before that, the person proves again who they
    are (`CurrentPhoneView`, mounted by `EnrolmentView`), each time.

    Its second form ends remembered browsers.
    """

    flow = "backup-codes"
    purpose = "backup-codes"
    pages: ClassVar[dict[str, str]] = {"first": "", "forget": "forget/"}
    titles: ClassVar[dict[str, Any]] = {"first": _("Backup codes")}
    form_class: type[forms.BaseForm] = forms.Form
    template_name: str = "otpverify/backup_codes.html"

    async def _show(self) -> HttpResponseBase:
        if self.step != "first":
            return self.go("first")
        left = await backup_codes(self.web_flow.verifier).left(accounts.key(self.user))
        if self.wants_json:
            return api.done(left=left)
        return await self.reply(self._page, self.carried("first"), left)

    async def post_first(self) -> HttpResponseBase:
        """Make new codes, and show them."""
        if not await self.call(self.has_proved_again):
            return self.prove_first(self.address("first"))
        self.proved_again.drop()  # a reload makes no other codes
        codes = await backup_codes(self.web_flow.verifier).make(accounts.key(self.user))
        await self.signal(backup_codes_made, user=self.user)
        phone = await self.call(requests.get_phone, self.user)
        await notify(self, self.user, AccountChange.BACKUP_CODES_MADE, phone)
        if self.wants_json:
            return api.done(codes=codes)
        return await self.reply(self._page, None, len(codes), codes)

    async def post_forget(self) -> HttpResponseBase:
        """End remembered browsers."""
        await self.call(remembered.forget_browsers, self.user)
        phone = await self.call(requests.get_phone, self.user)
        await notify(self, self.user, AccountChange.BROWSERS_FORGOTTEN, phone)
        if self.wants_json:
            return api.done()
        return self.to("first", Carried(Notice(BROWSERS_FORGOTTEN, error=False)))

    def _page(
        self, carried: Carried | None, left: int, codes: list[str] | None = None
    ) -> HttpResponseBase:
        context = {"left": left, "codes": codes, "remembers": conf.remember_days() > 0}
        return self.render_form(self.get_template_names(), self.get_form(), carried, **context)


class AsyncBackupCodesView(AsyncFlow, BackupCodesView):
    """`BackupCodesView`, asynchronous."""
